-- title: HAVING, ORDER BY and LIMIT are free
SELECT site, count(*) AS n FROM liver.patients GROUP BY site HAVING count(*) > 100 ORDER BY n DESC LIMIT 2 OFFSET 1;
--> reads liver.patients (one row a person): patient_id, site
--> groups by site: 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> then keeps answers where measure 1 > 100
--> then sorts by measure 1 descending
--> then keeps the first 2 answers after skipping 1
--> shows site: site
--> shows n: measure 1

-- title: a ratio of two counts
SELECT 100.0 * count(*) FILTER (WHERE died) / count(*) AS percent FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, died
--> measure 1: count of rows
--> measure 2: count of rows where died
--> each person counts with one row
--> then computes (100 * measure 2) / measure 1
--> shows percent: (100 * measure 2) / measure 1

-- title: functions of answers
SELECT round(avg(bmi), 1) AS bmi, sqrt(variance(bmi)) AS sd, CASE WHEN count(*) > 100 THEN 'many' ELSE 'few' END AS size FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, bmi
--> measure 1: sum of deviations of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: sum of deviations squared of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 3: count of rows where bmi is not null
--> measure 4: count of rows
--> each person counts with one row
--> then computes round(mean from measures 1 and 3, 1), sqrt(sample variance from measures 1, 2 and 3), case when measure 4 > 100 then 'many' else 'few' end
--> shows bmi: round(mean from measures 1 and 3, 1), in kg/m2
--> shows sd: sqrt(sample variance from measures 1, 2 and 3)
--> shows size: case when measure 4 > 100 then 'many' else 'few' end

-- title: ordered by what is not shown
SELECT site FROM liver.patients GROUP BY site ORDER BY count(*) DESC, site NULLS FIRST;
--> reads liver.patients (one row a person): patient_id, site
--> groups by site: 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> then sorts by measure 1 descending, site
--> shows site: site

-- title: an outer SELECT over answers
SELECT site, n FROM (SELECT site, count(*) AS n, avg(bmi) AS bmi FROM liver.patients GROUP BY site) WHERE bmi > 25 ORDER BY n;
--> reads liver.patients (one row a person): patient_id, bmi, site
--> groups by site: 'north', 'south', 'east', null
--> measure 1: sum of deviations of bmi, clamped to 10 .. 70 in steps of 0.01
--> measure 2: count of rows where bmi is not null
--> measure 3: count of rows
--> each person counts with one row in one group
--> then keeps answers where (mean from measures 1 and 2) > 25
--> then sorts by measure 3
--> shows site: site
--> shows n: measure 3

-- title: the sum and the median of answers
SELECT sum(n), median(n), max(n), count(*) FROM (SELECT site, count(*) AS n FROM liver.patients GROUP BY site);
--> reads liver.patients (one row a person): patient_id, site
--> groups by site: 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> then folds answers: sum of measure 1, median of measure 1, max of measure 1, count of answers
--> shows sum(n): sum of measure 1
--> shows median(n): median of measure 1
--> shows max(n): max of measure 1
--> shows count(*): count of answers

-- title: answers grouped once more
WITH t AS (SELECT site, is_male, count(*) AS n FROM liver.patients GROUP BY site, is_male) SELECT is_male, avg(n) AS mean, count(*) FILTER (WHERE n > 10) AS large FROM t GROUP BY is_male HAVING avg(n) > 5 ORDER BY mean;
--> reads liver.patients (one row a person): patient_id, is_male, site
--> groups by is_male: false, true
--> groups by site: 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> then folds answers by is_male: avg of measure 1, count of case when measure 1 > 10 then measure 1 > 10 else null end
--> then keeps answers where (avg of measure 1) > 5
--> then sorts by avg of measure 1
--> shows is_male: is_male
--> shows mean: avg of measure 1
--> shows large: count of case when measure 1 > 10 then measure 1 > 10 else null end

-- title: a star over answers
SELECT * FROM (SELECT site, count(*) AS n FROM liver.patients GROUP BY site) ORDER BY 2 DESC;
--> reads liver.patients (one row a person): patient_id, site
--> groups by site: 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> then sorts by measure 1 descending
--> shows site: site
--> shows n: measure 1

-- title: different answers
SELECT DISTINCT n > 100 AS large FROM (SELECT site, count(*) AS n FROM liver.patients GROUP BY site);
--> reads liver.patients (one row a person): patient_id, site
--> groups by site: 'north', 'south', 'east', null
--> measure 1: count of rows
--> each person counts with one row in one group
--> then computes measure 1 > 100
--> then keeps each different answer once
--> shows large: measure 1 > 100

-- title: an alias used in HAVING and in the next column
SELECT is_male, count(*) AS n, n * 2 AS twice FROM liver.patients GROUP BY is_male HAVING n > 10;
--> reads liver.patients (one row a person): patient_id, is_male
--> groups by is_male: false, true
--> measure 1: count of rows
--> each person counts with one row in one group
--> then keeps answers where measure 1 > 10
--> then computes is_male, measure 1, measure 1 * 2
--> shows is_male: is_male
--> shows n: measure 1
--> shows twice: measure 1 * 2

-- title: ordered by everything
SELECT is_male, count(*) FROM liver.patients GROUP BY is_male ORDER BY ALL DESC;
--> reads liver.patients (one row a person): patient_id, is_male
--> groups by is_male: false, true
--> measure 1: count of rows
--> each person counts with one row in one group
--> then sorts by is_male descending, measure 1 descending
--> shows is_male: is_male
--> shows count(*): measure 1
